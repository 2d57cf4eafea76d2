"""What runs in the account, derived from the jobs: their roles, their requests, their day."""
