"""The module in which ``python -m djust_uploads.testing check`` has pytest look for its tests."""
