"""Reading and writing of files that others may have put there, or may be writing too: regular ones, and whole."""

from hnca.experiments.files.arrays import read_array as read_array
from hnca.experiments.files.reading import read_json as read_json
from hnca.experiments.files.reading import read_whole as read_whole
from hnca.experiments.files.reading import require_regular as require_regular
from hnca.experiments.files.reading import shown as shown
from hnca.experiments.files.writing import opened_to_append as opened_to_append
from hnca.experiments.files.writing import remove_partial_files as remove_partial_files
from hnca.experiments.files.writing import require_own as require_own
from hnca.experiments.files.writing import write_atomically as write_atomically
