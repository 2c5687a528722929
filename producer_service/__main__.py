"""`python -m producer_service`."""

from producer_service.cli import main

if __name__ == "__main__":
    main()
