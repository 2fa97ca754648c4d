"""Persons' rights over their records: restriction, and requests with their clocks (个人信息保护法 第四章)."""
