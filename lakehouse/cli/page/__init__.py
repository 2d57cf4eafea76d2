"""The analyst's page: what it asks, how that is plotted, and the one file that it becomes."""
