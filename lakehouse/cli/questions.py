"""What SQL may ask: the declared tables and views, and nothing but questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from py4j.java_gateway import JavaObject, is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakehouse import delta
from lakehouse.config import Config
from lakehouse.errors import QueryError, TableNotFoundError
from lakehouse.monitoring import first_line
from lakehouse.tables import TABLES, Table
from lakehouse.views import load_views, tables_read, views_read

_LOGICAL = "org.apache.spark.sql.catalyst.plans.logical"
# what only reads is none of these: DDL, DML, Delta's own commands, and INSERT
_DOING = (f"{_LOGICAL}.Command", f"{_LOGICAL}.ParsedStatement")
_RELATION = "org.apache.spark.sql.catalyst.analysis.UnresolvedRelation"
_WITH = f"{_LOGICAL}.UnresolvedWith"
# columns and literals: most of a plan, and no table hides in them
_LEAF = "org.apache.spark.sql.catalyst.expressions.LeafExpression"
_MANY = "scala.collection.Iterable"
_WHOLE = "scala.Product"
_KINDS = (*_DOING, _RELATION, _WITH, _LEAF, _MANY, _WHOLE)


def answered(spark: SparkSession, config: Config, sql: str) -> DataFrame:
    """Plan one question over the declared tables and views.

    Raises:
        QueryError: it is no question, does not parse, or names a column that does not exist.
        TableNotFoundError: a declared table has not been written yet.
        UnknownTableError: no table or view has a name that it reads.
    """
    with named_faults():
        name_tables(spark, config, _names_read(spark, sql))
        return spark.sql(sql)


def name_tables(spark: SparkSession, config: Config, names: list[str]) -> None:
    """Give the named tables and views, and what these read, their SQL names in this session."""
    views = load_views(config.rules.views)
    tables = [TABLES[name] for name in tables_read(names, views)]
    for table in tables:
        if not delta.exists(spark, delta.path_of(config, table)):
            raise TableNotFoundError(table.name, table.written_by)
    delta.register(spark, config, [table.name for table in tables])
    for view in views_read(names, views):
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {view.name.partition('.')[0]}")
        spark.sql(f"CREATE OR REPLACE VIEW {view.name} AS {view.spark}")


def existing_tables(spark: SparkSession, config: Config) -> list[Table]:
    """Declared tables that a job has created."""
    return [table for table in TABLES.values() if delta.exists(spark, delta.path_of(config, table))]


@contextmanager
def named_faults() -> Iterator[None]:
    """Turn what Spark refuses, at planning or while it runs, into a QueryError."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise QueryError(_reason(error)) from error


def _names_read(spark: SparkSession, sql: str) -> list[str]:
    """The tables and views that a statement names, each once, in lower case.

    Spark's own parser finds them: text in quotes, aliases and comments are none.
    """
    parser = spark._jsparkSession.sessionState().sqlParser()
    names: dict[str, None] = {}
    own: set[str] = set()
    for node, kinds in _nodes(parser.parsePlan(sql), _Classes(spark.sparkContext._gateway)):
        if not kinds.isdisjoint(_DOING):
            what = node.getClass().getSimpleName()
            raise QueryError(f"`lakehouse query` only reads, and this is no query ({what}).")
        if _RELATION in kinds:
            names[str(node.multipartIdentifier().mkString(".")).lower()] = None
        if _WITH in kinds:
            own |= {str(pair._1()).lower() for pair in _each(node.cteRelations().iterator())}
    return [name for name in names if name not in own]


def _nodes(value: Any, classes: _Classes) -> Iterator[tuple[JavaObject, frozenset[str]]]:
    """Everything a plan is made of, wherever it hides: in subqueries, WITH, VERSION AS OF.

    With each node its kinds, of _KINDS.
    """
    if not isinstance(value, JavaObject):
        return
    kinds = classes.kinds_of(value)
    if _LEAF in kinds or kinds.isdisjoint((_MANY, _WHOLE)):
        return
    if _MANY not in kinds:
        yield value, kinds
    for part in _each(value.iterator() if _MANY in kinds else value.productIterator()):
        yield from _nodes(part, classes)


class _Classes:
    """What kinds a class of Java has, asked once: each question is a message to the JVM."""

    def __init__(self, gateway: Any) -> None:
        self._gateway = gateway
        self._known: dict[str, frozenset[str]] = {}

    def kinds_of(self, value: JavaObject) -> frozenset[str]:
        """The kinds, of _KINDS, that an object has."""
        name = value.getClass().getName()
        if name not in self._known:
            is_of = partial(is_instance_of, self._gateway, value)
            self._known[name] = frozenset(kind for kind in _KINDS if is_of(kind))
        return self._known[name]


def _each(iterator: JavaObject) -> Iterator[Any]:
    while iterator.hasNext():
        yield iterator.next()


def _reason(error: Exception) -> str:
    """What a person can mend: the first cause, in its first line."""
    cause = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    return first_line(str(error) if cause is None else str(cause.toString()))
