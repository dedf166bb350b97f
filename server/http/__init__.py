"""The HTTP side: pages, history, event stream, operator interface, health and metrics."""
