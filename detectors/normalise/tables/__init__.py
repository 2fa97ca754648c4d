"""Tables of single code points: the one home of what a character can stand for."""
