"""The files of a night: found, their headers examined, their pixels looked at."""
