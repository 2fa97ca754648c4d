"""The intake journal 采集日志簿: lines that were taken over by the collector and are not in the archive yet.

Whoever takes lines over appends them to files of sealed frames, synced before the answer; a run reads the files as a
source of its own and archives them like any other. Writer and reader share nothing but the folder:

    journal.py       the writer: groups, answers; one process a folder
    journal_file.py  its newest file: appends, syncs, takes back
    keeping.py       its housekeeping: recovery, deletion of what is archived, remembered keys
    reading.py       the reader
    frames.py, marks.py  the two file formats
"""
