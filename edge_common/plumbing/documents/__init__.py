"""The one narrow document interface that every store adapter is written against, and its three backends."""
