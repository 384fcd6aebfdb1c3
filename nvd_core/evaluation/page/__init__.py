"""The report as one page that a browser opens from disk: no server, no network, no other file."""
