"""Distributed crawler for Baidu Tieba."""
