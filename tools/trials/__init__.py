"""Parts of the tools that stop and kill the program: clips, real processes, folders compared."""
