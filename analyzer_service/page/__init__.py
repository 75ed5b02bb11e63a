"""The live page: runs to watch, tiles to look at, annotations to make. Reads runs' folders."""
