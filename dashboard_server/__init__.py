"""Serves the dashboard on this machine: the page, its settings, and a proxy to one query API.

`application` puts the parts together, `site` has the page, `proxy` passes requests on, `headers` protects the browser,
and `cli` runs it all. On AWS, CloudFront does the same (infra/cloudformation/web.yaml).
"""
