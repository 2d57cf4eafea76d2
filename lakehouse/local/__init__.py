"""The laptop: Java, jars, and real services on loopback. Nothing here runs in a cloud."""
