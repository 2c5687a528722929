"""Proves on a real account that a stage works: deploys it, disturbs it, watches it recover, and removes it again.

Data: `plan` has the steps with their time limits, `verdicts` what comes of a step. Pure: `checks` turns what was seen
into a verdict, `report` a run into a table and Markdown. Work: `runner` runs a plan within its limits and cleans up,
and each group of steps has a module (`deployer`, `quotes`, `queries`, `notices`, `tasks`, `function`, `symbols`,
`alarms`, `bill`). `wiring` connects them, and `cli` is the command. docs/smoke.md is the guide.
"""
