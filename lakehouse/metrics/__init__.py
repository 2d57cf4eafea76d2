"""Figures of jobs and tables: heard from what jobs log and Spark tells, sent by a thread of its own."""
