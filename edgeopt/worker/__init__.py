"""What a child process does with one Job: open, load data, run a pass, check a promise."""
