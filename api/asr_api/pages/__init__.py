"""The pages for people: HTML, scripts and styles, all from this folder and none from elsewhere.

They are public and hold nothing secret; what they show they fetch from the API, with the caller's
own key. Their addresses are relative, so that they also work behind a path prefix.
"""
