"""The intake journal 采集日志簿: lines that were taken over by the collector and are not in the archive yet.

Whoever takes lines over appends them to files of sealed frames, synced before the answer; a run reads the files as a
source of its own and archives them like any other. Writer and reader share nothing but the folder:

    journal.py  the writer: groups, syncs, answers; one process a folder
    keeping.py  the writer's housekeeping: recovery, deletion of what is archived, remembered keys
    reading.py  the reader
    frames.py, marks.py  the two file formats
"""
