"""A summary, a dump or a view as a document: text, JSON, Markdown."""
