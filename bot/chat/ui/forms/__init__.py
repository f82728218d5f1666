"""The forms that buttons open: how they look, and the ids of the forms and of their fields.

fields.py    what they are put together from
reopen.py    the button that opens one again after a mistake
edit.py, edit_with_words.py, compare.py, save_preset.py, report.py, broadcast.py    the forms
"""
