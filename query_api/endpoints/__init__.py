"""The endpoints, one module each. A module has `answer` and the `ENDPOINT` that describes it."""
