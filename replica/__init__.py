"""The pipeline on one machine: an emulator, the deployed templates, Lambda's event-source semantics, the demo."""
