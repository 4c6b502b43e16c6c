"""What the workers of one crawl share through Redis. Knows neither Scrapy nor Tieba."""
