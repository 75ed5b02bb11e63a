"""The analyzing side: receive, commit, analyze, draw, report."""
