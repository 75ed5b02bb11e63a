"""Analyses on the machines of a dask cluster, behind the Protocol of local workers."""
