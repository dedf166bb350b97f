"""People: signed tokens and public ids; the book of accounts, identity, agreement, credit, measures."""
