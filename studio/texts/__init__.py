"""Every word on screen: `TEXTS: key -> (English, Chinese)`, one file a page; `studio.i18n` joins them."""
