"""What can be reduced of a night, and what is missing."""
