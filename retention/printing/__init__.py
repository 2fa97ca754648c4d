"""Documents for people: blocks that PDF and HTML set alike, in a Chinese font, with text that is never markup."""
