"""Reports of queries, plans and jobs as HTML files, with charts."""
