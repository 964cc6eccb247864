"""A night as a graph of tasks, one a master or a science frame, and how they are done."""
