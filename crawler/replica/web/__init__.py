"""The classic web pages of the stand-in site, from the same data model as the client API.

Structure and traps are those of captured pages of 2015 to 2024; the words are invented. What the pages tell
of the data model, and what not (`replica.web.shown` has the rules):

- Forum pages (`/f?kw=&pn=`, 50 places; `/f/good` or `tab=good` for good threads): the forum with its three
  numbers; threads with first post, reply count, flags and author. A title is cut off after 30 characters.
  Without an account an author's id is 0 and the name an address. Where there is only a nickname, the name is
  '' and the nickname stands in "主题作者: …". Times are Beijing time, relative to the day of the page: exact
  to the minute on that day, to the day before it in the same year, else to the month. The page tells its
  own time (`World.now`) in the last ten digits of PageData.tbs. Pinned threads have no last reply.
- Thread pages (`/p/<tid>?pn=&see_lz=`, 30 places): the full title, the reply count; floors with author, text,
  pictures, number of comments and time to the minute, hence the thread's creation. Neither last reply nor
  flags. `shown.client` says which program some floors came from, `shown.place` from where, on pages of the
  latest markup. Who has no account has neither id nor portrait. An emoji is a picture with its code in the
  name of the file, its own name is not told. A film is its address (`Piece.ref`), a voice has no text.
- `/p/totalComment`: how many comments each floor of a thread page has, and the first of them
  (`shown.early_comments`) with ids and names of users, times to the second.
- `/p/comment`: all comments of one floor, 10 a page, with names and portraits, but no ids of users; times to
  the minute.

A deleted thread gets the page titled 贴吧404 (HTTP 404), an unknown forum a page that offers to create it.
"""
