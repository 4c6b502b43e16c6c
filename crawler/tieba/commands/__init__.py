"""Scrapy commands of this project (setting COMMANDS_MODULE)."""
