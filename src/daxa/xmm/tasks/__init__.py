"""One file for each SAS task: its parameters, its files, its messages. Nothing imports them."""
