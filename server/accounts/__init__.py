"""Who is speaking: signed tokens, keys, public ids."""
