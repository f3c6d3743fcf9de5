"""One self-contained HTML file about a built folder: what it does, what it costs, and why."""
