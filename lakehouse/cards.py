"""Card numbers in text become a keyed token with the last four digits, before anything lands.

A card number is 13 to 19 digits, also with single spaces or dashes between them, of a card
scheme's range and length, with a valid Luhn digit: `4111 1111 1111 1111` becomes
`tok_<16 hex digits>_1111`. Equal numbers have equal tokens, whatever their separators.

UUIDs, digests and the fractions of decimals are left alone, and so are the fields that the
contract of the input defines as ids, times and amounts: plain values at the top of a text that is
exactly one JSON object, or cells of a CSV line. Of that name deeper inside, or in any other text,
nothing is known. In a text of more than 100,000 characters every other run of 13 digits or more
becomes `tok_unsearched` instead; there only what stands before the first nested value is exempt.
Numbers that were escaped, split over fields or spelled otherwise are not found, and a name that is
spelled with escapes is none of the contract. The key becomes a literal of the query plan: whoever
may read plans of the ingestion jobs (event log, web UI) could compute tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.tables import BRONZE_FRAUD_SCORES, BRONZE_TRANSACTIONS, DROPS, Table
from lakehouse.texts import csv_cells, csv_pieces, only_object

_BLOCK_BYTES = 64
_LENGTHS = range(13, 20)
# by scheme: Visa, Mastercard (two ranges), American Express, Discover, JCB, Diners Club
_SCHEMES = (
    "4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})",
    "5[1-5][0-9]{14}",
    "2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}",
    "3[47][0-9]{13}",
    "6(?:011|4[4-9][0-9]|5[0-9]{2}|22[1-9])[0-9]{12,15}",
    "35(?:2[89]|[3-8][0-9])[0-9]{12,15}",
    "3(?:0[0-59]|[689][0-9])[0-9]{11,16}",
)
_OF_A_SCHEME = f"^(?:{'|'.join(_SCHEMES)})$"
# not inside a longer number, not a decimal fraction
_STARTS = r"(?<![0-9])(?<![0-9][.])(?=[2-6])"
_ENDS = r"(?![0-9]|[.][0-9])"
_DIGITS = "[2-6][0-9 -]{12}"
_SUSPICIOUS = rf"{_STARTS}[0-9](?:[ -]?[0-9]){{12}}"
_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_DIGEST = "(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{24,}"
# to search the digits of a longer text for cards would take more memory than a worker has
_MOST_SEARCHED = 100_000
_RUN = r"[0-9](?:[ -]?[0-9]){12,40}"
_MASK = "tok_unsearched"
_NO_CARD = rf"(?<![0-9A-Za-z])(?:{_UUID}|{_DIGEST})(?![0-9A-Za-z])"

_OF_PAYMENTS = (
    "transaction_id", "user_id", "merchant_id", "timestamp", "amount", "sequence",
)  # fmt: skip
_OF_SCORES = ("transaction_id", "inference_time", "fraud_score")
_EXEMPT: Mapping[str, Sequence[str]] = {
    BRONZE_TRANSACTIONS.name: ("event_id", *_OF_PAYMENTS),
    BRONZE_FRAUD_SCORES.name: _OF_SCORES,
    DROPS["transactions"].name: _OF_PAYMENTS,
    DROPS["money_events"].name: (
        "event_id", "transaction_id", "dispute_id", "timestamp", "transaction_date", "amount",
    ),
    DROPS["policies"].name: ("policy_id", "effective_date"),
    DROPS["fraud_scores"].name: _OF_SCORES,
    DROPS["fx_rates"].name: ("rate_date", "rate"),
}  # fmt: skip
_JSON_STRING = r'"(?:[^"\\]|\\.)*+"'
# of the pieces of a JSON text only an exempt field has more than the string it begins with
_IS_FIELD = rf"(?s)^{_JSON_STRING}\s*+:"
_ESCAPED_NAME = r'\\u[0-9A-Fa-f]{4}[\\0-9A-Za-z_]{0,100}"\s*+:'
# a brace inside a string ends it too early, which only hides more
_BEFORE_NESTED = r"(?s)^\s*\{[^\[{]*+"
_PLAIN = r"""[^{}\[\]"]++"""
# as `only_object` has it: with a raw control character it is none
_STRING = r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_FLAT = rf"[\[{{](?:{_PLAIN}|{_STRING})*+[\]}}]"
_NESTED = rf"[\[{{](?:{_PLAIN}|{_STRING}|{_FLAT})*+[\]}}]"
_SHALLOW = rf"(?s)^\s*+\{{(?:{_PLAIN}|{_STRING}|{_NESTED})*+\}}\s*+$"
# Java's matcher goes a frame deeper with each of the alternatives
_MOST_MATCHED = 4_000
# so deep that nothing brings a piece back to the top of an object
_NOWHERE = 1 << 30


def exempt_fields(table: Table) -> Column:
    """Names of the fields that are left alone in what lands in a table of Bronze."""
    return F.array(*map(F.lit, _EXEMPT[table.name]))


def redacted(value: Column, key: bytes, exempt: Column) -> Column:
    """`struct<value binary, redactions int>` of a payload: JSON, or any other text.

    `exempt` are the `exempt_fields` of the table in which it lands.
    A card number that was a JSON number becomes a JSON string. Bytes that are not UTF-8, and
    null, stay as they are.
    """
    text = value.cast("string")
    is_text = F.encode(text, "UTF-8") == value
    # a one-element array names the result, so that it is computed once
    changed = F.transform(
        F.array(redacted_text(text, key, exempt)),
        lambda found: F.struct(
            F.encode(found["value"], "UTF-8").alias("value"),
            found["redactions"].alias("redactions"),
        ),
    )
    return F.when(_is_suspicious(text, exempt) & is_text, F.element_at(changed, 1)).otherwise(
        _unchanged(value)
    )


def redacted_text(text: Column, key: bytes, exempt: Column) -> Column:
    """`struct<value string, redactions int>` of a JSON text or of any other."""
    # every character of a text belongs to exactly one piece
    a_piece = F.concat(F.lit("(?s)"), _field_of(exempt), F.lit(rf'|{_JSON_STRING}|[^"]++|"'))
    pieces = F.regexp_extract_all(text, a_piece, F.lit(0))
    is_json = text.rlike(r"^\s*\{")

    def of_piece(piece: Column) -> Column:
        # a bare token would be no JSON value
        is_bare = ~piece.startswith('"') | ~F.rtrim(piece).endswith('"')
        quote = F.when(is_json & is_bare, '"').otherwise("")
        at_the_top = F.when(piece.rlike(_IS_FIELD), piece)
        return _piece(_without_cards(piece, quote, key), at_the_top, _opened(piece))

    return _joined_if_suspicious(text, F.transform(pieces, of_piece), exempt)


def redacted_csv(header: Column, line: Column, key: bytes, exempt: Column) -> Column:
    """`struct<value string, redactions int>` of a CSV line; its header names the exempt cells."""
    names = csv_cells(header)

    def of_cell(cell: Column, index: Column) -> Column:
        is_exempt = F.array_contains(exempt, F.get(names, index))
        found = F.when(is_exempt, _unchanged(cell)).otherwise(_without_cards(cell, F.lit(""), key))
        return _piece(found, F.lit(None).cast("string"), F.lit(0))

    return _joined_if_suspicious(line, F.transform(csv_pieces(line), of_cell), exempt, is_csv=True)


def token_of(digits: Column, key: bytes) -> Column:
    """`tok_<16 hex digits>_<last four>`: the head of HMAC-SHA256 (RFC 2104) of the digits."""
    inner_pad, outer_pad = _pads(key)
    inner = F.sha2(F.concat(F.lit(inner_pad), F.encode(digits, "UTF-8")), 256)
    mac = F.sha2(F.concat(F.lit(outer_pad), F.unhex(inner)), 256)
    return F.concat(F.lit("tok_"), F.substring(mac, 1, 16), F.lit("_"), F.substring(digits, -4, 4))


def _field_of(exempt: Column) -> Column:
    """A pattern: an exempt field of a JSON object, whose value is neither an object nor a list."""
    value = rf'"\s*+:\s*+(?:{_JSON_STRING}|[^"\[{{,}}\]]++)'
    return F.concat(F.lit('"(?:'), F.array_join(exempt, "|"), F.lit(f"){value}"))


def _opened(piece: Column) -> Column:
    """How many objects and lists a piece of a JSON text opens and does not close."""
    opening, closing = (F.length(F.translate(piece, each, "")) for each in ("{[", "}]"))
    return F.when(piece.startswith('"'), 0).otherwise(closing - opening)


def _pads(key: bytes) -> tuple[bytearray, bytearray]:
    short = hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key
    block = short.ljust(_BLOCK_BYTES, b"\0")
    return bytearray(byte ^ 0x36 for byte in block), bytearray(byte ^ 0x5C for byte in block)


def _unchanged(piece: Column) -> Column:
    return F.struct(piece.alias("value"), F.lit(0).alias("redactions"))


def _is_suspicious(text: Column, exempt: Column, is_csv: bool = False) -> Column:
    """Whether a search is worth its cost; few clean texts are, and most need one look only."""
    without_ids = F.regexp_replace(text, _NO_CARD, "-")
    if not is_csv:
        others = F.regexp_replace(_not_exempt(text, exempt), _NO_CARD, "-")
        # of what is no JSON object every part is searched
        without_ids = F.coalesce(others, without_ids)
    # each look is dearer than the one before it, and needed more seldom
    return text.rlike(_DIGITS) & text.rlike(_SUSPICIOUS) & without_ids.rlike(_SUSPICIOUS)


def _not_exempt(text: Column, exempt: Column) -> Column:
    """What a JSON object says, but for the exempt fields at its top; null of another text."""
    is_short = F.length(text) <= _MOST_MATCHED
    # Spark takes single quotes for double ones there
    is_json = ~text.contains("'") & F.get_json_object(text, "$").isNotNull()
    at_the_top = F.concat(
        F.lit(rf"(?s)(^\s*+\{{|{_NESTED})|"), _field_of(exempt), F.lit(rf"|({_STRING})")
    )
    return F.when(
        is_short & is_json & text.rlike(_SHALLOW),
        F.regexp_replace(text, at_the_top, F.lit("$1$2")),
    ).otherwise(_parsed_not_exempt(text, exempt))


def _parsed_not_exempt(text: Column, exempt: Column) -> Column:
    """The same of any object, for many times the cost.

    Of a number with an exponent the parser would give other digits than are written.
    """

    def told(field: Column) -> Column:
        is_plain = ~F.coalesce(field["value"].rlike(r"^[\[{]"), F.lit(False))
        is_exempt = F.array_contains(exempt, field["key"]) & is_plain
        return F.when(is_exempt, "-").otherwise(F.concat_ws(" ", field["key"], field["value"]))

    fields = F.transform(F.map_entries(only_object(text)), told)
    is_as_written = ~text.rlike("[0-9][eE]") & ~text.rlike(_ESCAPED_NAME)
    return F.when(is_as_written, F.array_join(fields, " ; "))


def _masked(text: Column, exempt: Column) -> Column:
    """Replace whatever could hold a card number, in memory that grows with the text only."""

    def of(part: Column, *left_alone: Column) -> Column:
        # two marks around each find, with nothing between them where it is left alone
        either = F.concat(F.lit("(?s)("), *left_alone, F.lit(rf"{_NO_CARD})|({_RUN})"))
        marked = F.regexp_replace(part, either, F.lit("$1\ue000$2\ue001"))
        found = F.replace(marked, F.lit("\ue000\ue001"), F.lit(""))
        return F.regexp_replace(found, "\ue000[^\ue001]++\ue001", _MASK)

    is_object = only_object(text).isNotNull()
    head = F.when(is_object, F.regexp_extract(text, _BEFORE_NESTED, 0)).otherwise("")
    rest = F.substr(text, F.length(head) + 1)
    # behind a backslash the quote is one inside a string
    a_field = [F.lit(r"(?<!\\)"), _field_of(exempt), F.lit("|")]
    masked = F.concat(of(head, *a_field), of(rest))
    without = F.replace(masked, F.lit(_MASK), F.lit(""))
    times = (F.length(masked) - F.length(without)) / len(_MASK)
    return F.struct(masked.alias("value"), times.cast("int").alias("redactions"))


def _joined_if_suspicious(
    text: Column, pieces: Column, exempt: Column, is_csv: bool = False
) -> Column:
    # each piece of a CSV line has its comma, the first one too
    skip = int(is_csv)
    # of what Silver could not read, no field is known
    depth = F.when(only_object(text).isNotNull(), 0).otherwise(_NOWHERE)
    joined = F.aggregate(
        pieces,
        _piece(_unchanged(F.lit("")), F.lit(None).cast("string"), depth),
        _with_piece,
        lambda state: F.struct(
            state["value"].substr(F.lit(skip + 1), F.length(state["value"])).alias("value"),
            state["redactions"].alias("redactions"),
        ),
    )
    found = F.when(F.length(text) > _MOST_SEARCHED, _masked(text, exempt)).otherwise(joined)
    return F.when(_is_suspicious(text, exempt, is_csv), found).otherwise(_unchanged(text))


def _piece(found: Column, at_the_top: Column, opened: Column) -> Column:
    """A piece as it becomes, as it stays at the top of an object, and what it opens; all three of
    pieces that are joined: a piece too.
    """
    return F.struct(
        found["value"].alias("value"),
        found["redactions"].alias("redactions"),
        at_the_top.alias("at_the_top"),
        opened.alias("opened"),
    )


def _with_piece(joined: Column, piece: Column) -> Column:
    is_exempt = (joined["opened"] == 1) & piece["at_the_top"].isNotNull()
    value = F.when(is_exempt, piece["at_the_top"]).otherwise(piece["value"])
    redactions = F.when(is_exempt, 0).otherwise(piece["redactions"])
    return F.struct(
        F.concat(joined["value"], value).alias("value"),
        (joined["redactions"] + redactions).alias("redactions"),
        joined["at_the_top"].alias("at_the_top"),
        (joined["opened"] + piece["opened"]).alias("opened"),
    )


def _without_cards(piece: Column, quote: Column, key: bytes) -> Column:
    """Replace the card numbers of one JSON string, one CSV cell, or the text between them."""
    searched = F.regexp_replace(piece, _NO_CARD, "-")

    def replaced(state: Column, card: Column) -> Column:
        token = F.concat(quote, token_of(_digits(card), key), quote)
        rest = F.replace(state["value"], card, F.lit(""))
        gone = (F.length(state["value"]) - F.length(rest)) / F.length(card)
        return F.struct(
            F.replace(state["value"], card, token).alias("value"),
            (state["redactions"] + gone.cast("int")).alias("redactions"),
        )

    found = F.aggregate(_cards_in(searched), _unchanged(piece), replaced)
    return F.when(searched.rlike(_SUSPICIOUS), found).otherwise(_unchanged(piece))


def _cards_in(text: Column) -> Column:
    """Card numbers of a text as they are written there, longest first.

    Each length is tried from each digit that may begin a number: a year before the number, or a
    verification code behind it, hides nothing.
    """
    written = [
        F.regexp_extract_all(
            text,
            F.lit(f"{_STARTS}(?=([0-9](?:[ -]?[0-9]){{{length - 1}}}){_ENDS})"),
            F.lit(1),
        )
        for length in reversed(_LENGTHS)
    ]
    return F.filter(
        F.array_distinct(F.concat(*written)),
        lambda card: (
            _digits(card).rlike(_OF_A_SCHEME) & F.call_function("luhn_check", _digits(card))
        ),
    )


def _digits(card: Column) -> Column:
    return F.regexp_replace(card, "[ -]", "")
