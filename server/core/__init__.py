"""Pure parts: data and a clock reading in, data out. Nothing here does I/O, reads a clock or knows asyncio."""
