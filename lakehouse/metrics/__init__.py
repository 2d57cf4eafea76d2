"""Figures of jobs and tables: heard from jobs, sent by a thread of its own."""
