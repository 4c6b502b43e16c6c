from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommonReq(_message.Message):
    __slots__ = ("_client_type", "_client_version")
    _CLIENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    _CLIENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    _client_type: int
    _client_version: str
    def __init__(self, _client_type: _Optional[int] = ..., _client_version: _Optional[str] = ...) -> None: ...

class FrsPageReqIdl(_message.Message):
    __slots__ = ("data",)
    class DataReq(_message.Message):
        __slots__ = ("kw", "rn", "rn_need", "is_good", "pn", "common", "sort_type")
        KW_FIELD_NUMBER: _ClassVar[int]
        RN_FIELD_NUMBER: _ClassVar[int]
        RN_NEED_FIELD_NUMBER: _ClassVar[int]
        IS_GOOD_FIELD_NUMBER: _ClassVar[int]
        PN_FIELD_NUMBER: _ClassVar[int]
        COMMON_FIELD_NUMBER: _ClassVar[int]
        SORT_TYPE_FIELD_NUMBER: _ClassVar[int]
        kw: str
        rn: int
        rn_need: int
        is_good: int
        pn: int
        common: CommonReq
        sort_type: int
        def __init__(self, kw: _Optional[str] = ..., rn: _Optional[int] = ..., rn_need: _Optional[int] = ..., is_good: _Optional[int] = ..., pn: _Optional[int] = ..., common: _Optional[_Union[CommonReq, _Mapping]] = ..., sort_type: _Optional[int] = ...) -> None: ...
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: FrsPageReqIdl.DataReq
    def __init__(self, data: _Optional[_Union[FrsPageReqIdl.DataReq, _Mapping]] = ...) -> None: ...

class PbPageReqIdl(_message.Message):
    __slots__ = ("data",)
    class DataReq(_message.Message):
        __slots__ = ("kz", "lz", "with_floor", "floor_rn", "rn", "pn", "common")
        KZ_FIELD_NUMBER: _ClassVar[int]
        LZ_FIELD_NUMBER: _ClassVar[int]
        WITH_FLOOR_FIELD_NUMBER: _ClassVar[int]
        FLOOR_RN_FIELD_NUMBER: _ClassVar[int]
        RN_FIELD_NUMBER: _ClassVar[int]
        PN_FIELD_NUMBER: _ClassVar[int]
        COMMON_FIELD_NUMBER: _ClassVar[int]
        kz: int
        lz: int
        with_floor: int
        floor_rn: int
        rn: int
        pn: int
        common: CommonReq
        def __init__(self, kz: _Optional[int] = ..., lz: _Optional[int] = ..., with_floor: _Optional[int] = ..., floor_rn: _Optional[int] = ..., rn: _Optional[int] = ..., pn: _Optional[int] = ..., common: _Optional[_Union[CommonReq, _Mapping]] = ...) -> None: ...
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: PbPageReqIdl.DataReq
    def __init__(self, data: _Optional[_Union[PbPageReqIdl.DataReq, _Mapping]] = ...) -> None: ...

class PbFloorReqIdl(_message.Message):
    __slots__ = ("data",)
    class DataReq(_message.Message):
        __slots__ = ("kz", "pid", "pn", "common")
        KZ_FIELD_NUMBER: _ClassVar[int]
        PID_FIELD_NUMBER: _ClassVar[int]
        PN_FIELD_NUMBER: _ClassVar[int]
        COMMON_FIELD_NUMBER: _ClassVar[int]
        kz: int
        pid: int
        pn: int
        common: CommonReq
        def __init__(self, kz: _Optional[int] = ..., pid: _Optional[int] = ..., pn: _Optional[int] = ..., common: _Optional[_Union[CommonReq, _Mapping]] = ...) -> None: ...
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: PbFloorReqIdl.DataReq
    def __init__(self, data: _Optional[_Union[PbFloorReqIdl.DataReq, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("errorno", "errmsg")
    ERRORNO_FIELD_NUMBER: _ClassVar[int]
    ERRMSG_FIELD_NUMBER: _ClassVar[int]
    errorno: int
    errmsg: str
    def __init__(self, errorno: _Optional[int] = ..., errmsg: _Optional[str] = ...) -> None: ...

class FrsPageResIdl(_message.Message):
    __slots__ = ("error", "data")
    class DataRes(_message.Message):
        __slots__ = ("forum", "page", "thread_list", "user_list")
        class ForumInfo(_message.Message):
            __slots__ = ("id", "name", "first_class", "second_class", "member_num", "thread_num", "post_num")
            ID_FIELD_NUMBER: _ClassVar[int]
            NAME_FIELD_NUMBER: _ClassVar[int]
            FIRST_CLASS_FIELD_NUMBER: _ClassVar[int]
            SECOND_CLASS_FIELD_NUMBER: _ClassVar[int]
            MEMBER_NUM_FIELD_NUMBER: _ClassVar[int]
            THREAD_NUM_FIELD_NUMBER: _ClassVar[int]
            POST_NUM_FIELD_NUMBER: _ClassVar[int]
            id: int
            name: str
            first_class: str
            second_class: str
            member_num: int
            thread_num: int
            post_num: int
            def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., first_class: _Optional[str] = ..., second_class: _Optional[str] = ..., member_num: _Optional[int] = ..., thread_num: _Optional[int] = ..., post_num: _Optional[int] = ...) -> None: ...
        FORUM_FIELD_NUMBER: _ClassVar[int]
        PAGE_FIELD_NUMBER: _ClassVar[int]
        THREAD_LIST_FIELD_NUMBER: _ClassVar[int]
        USER_LIST_FIELD_NUMBER: _ClassVar[int]
        forum: FrsPageResIdl.DataRes.ForumInfo
        page: Page
        thread_list: _containers.RepeatedCompositeFieldContainer[ThreadInfo]
        user_list: _containers.RepeatedCompositeFieldContainer[User]
        def __init__(self, forum: _Optional[_Union[FrsPageResIdl.DataRes.ForumInfo, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., thread_list: _Optional[_Iterable[_Union[ThreadInfo, _Mapping]]] = ..., user_list: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    error: Error
    data: FrsPageResIdl.DataRes
    def __init__(self, error: _Optional[_Union[Error, _Mapping]] = ..., data: _Optional[_Union[FrsPageResIdl.DataRes, _Mapping]] = ...) -> None: ...

class PbPageResIdl(_message.Message):
    __slots__ = ("error", "data")
    class DataRes(_message.Message):
        __slots__ = ("forum", "page", "post_list", "thread", "user_list")
        FORUM_FIELD_NUMBER: _ClassVar[int]
        PAGE_FIELD_NUMBER: _ClassVar[int]
        POST_LIST_FIELD_NUMBER: _ClassVar[int]
        THREAD_FIELD_NUMBER: _ClassVar[int]
        USER_LIST_FIELD_NUMBER: _ClassVar[int]
        forum: SimpleForum
        page: Page
        post_list: _containers.RepeatedCompositeFieldContainer[Post]
        thread: ThreadInfo
        user_list: _containers.RepeatedCompositeFieldContainer[User]
        def __init__(self, forum: _Optional[_Union[SimpleForum, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., post_list: _Optional[_Iterable[_Union[Post, _Mapping]]] = ..., thread: _Optional[_Union[ThreadInfo, _Mapping]] = ..., user_list: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    error: Error
    data: PbPageResIdl.DataRes
    def __init__(self, error: _Optional[_Union[Error, _Mapping]] = ..., data: _Optional[_Union[PbPageResIdl.DataRes, _Mapping]] = ...) -> None: ...

class PbFloorResIdl(_message.Message):
    __slots__ = ("error", "data")
    class DataRes(_message.Message):
        __slots__ = ("page", "post", "subpost_list", "thread", "forum")
        PAGE_FIELD_NUMBER: _ClassVar[int]
        POST_FIELD_NUMBER: _ClassVar[int]
        SUBPOST_LIST_FIELD_NUMBER: _ClassVar[int]
        THREAD_FIELD_NUMBER: _ClassVar[int]
        FORUM_FIELD_NUMBER: _ClassVar[int]
        page: Page
        post: Post
        subpost_list: _containers.RepeatedCompositeFieldContainer[SubPostList]
        thread: ThreadInfo
        forum: SimpleForum
        def __init__(self, page: _Optional[_Union[Page, _Mapping]] = ..., post: _Optional[_Union[Post, _Mapping]] = ..., subpost_list: _Optional[_Iterable[_Union[SubPostList, _Mapping]]] = ..., thread: _Optional[_Union[ThreadInfo, _Mapping]] = ..., forum: _Optional[_Union[SimpleForum, _Mapping]] = ...) -> None: ...
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    error: Error
    data: PbFloorResIdl.DataRes
    def __init__(self, error: _Optional[_Union[Error, _Mapping]] = ..., data: _Optional[_Union[PbFloorResIdl.DataRes, _Mapping]] = ...) -> None: ...

class Page(_message.Message):
    __slots__ = ("page_size", "current_page", "total_count", "total_page", "has_more", "has_prev")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_PAGE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_PAGE_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    HAS_PREV_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    current_page: int
    total_count: int
    total_page: int
    has_more: int
    has_prev: int
    def __init__(self, page_size: _Optional[int] = ..., current_page: _Optional[int] = ..., total_count: _Optional[int] = ..., total_page: _Optional[int] = ..., has_more: _Optional[int] = ..., has_prev: _Optional[int] = ...) -> None: ...

class SimpleForum(_message.Message):
    __slots__ = ("id", "name", "first_class", "second_class")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIRST_CLASS_FIELD_NUMBER: _ClassVar[int]
    SECOND_CLASS_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    first_class: str
    second_class: str
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., first_class: _Optional[str] = ..., second_class: _Optional[str] = ...) -> None: ...

class ThreadInfo(_message.Message):
    __slots__ = ("id", "title", "reply_num", "view_num", "last_time_int", "is_top", "is_good", "author", "fid", "first_post_id", "create_time", "post_id", "author_id", "first_post_content")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    REPLY_NUM_FIELD_NUMBER: _ClassVar[int]
    VIEW_NUM_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_INT_FIELD_NUMBER: _ClassVar[int]
    IS_TOP_FIELD_NUMBER: _ClassVar[int]
    IS_GOOD_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    FID_FIELD_NUMBER: _ClassVar[int]
    FIRST_POST_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    POST_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_POST_CONTENT_FIELD_NUMBER: _ClassVar[int]
    id: int
    title: str
    reply_num: int
    view_num: int
    last_time_int: int
    is_top: int
    is_good: int
    author: User
    fid: int
    first_post_id: int
    create_time: int
    post_id: int
    author_id: int
    first_post_content: _containers.RepeatedCompositeFieldContainer[PbContent]
    def __init__(self, id: _Optional[int] = ..., title: _Optional[str] = ..., reply_num: _Optional[int] = ..., view_num: _Optional[int] = ..., last_time_int: _Optional[int] = ..., is_top: _Optional[int] = ..., is_good: _Optional[int] = ..., author: _Optional[_Union[User, _Mapping]] = ..., fid: _Optional[int] = ..., first_post_id: _Optional[int] = ..., create_time: _Optional[int] = ..., post_id: _Optional[int] = ..., author_id: _Optional[int] = ..., first_post_content: _Optional[_Iterable[_Union[PbContent, _Mapping]]] = ...) -> None: ...

class Post(_message.Message):
    __slots__ = ("id", "floor", "time", "content", "sub_post_number", "sub_post_list", "author_id", "author")
    class SubPost(_message.Message):
        __slots__ = ("sub_post_list",)
        SUB_POST_LIST_FIELD_NUMBER: _ClassVar[int]
        sub_post_list: _containers.RepeatedCompositeFieldContainer[SubPostList]
        def __init__(self, sub_post_list: _Optional[_Iterable[_Union[SubPostList, _Mapping]]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    SUB_POST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    SUB_POST_LIST_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    id: int
    floor: int
    time: int
    content: _containers.RepeatedCompositeFieldContainer[PbContent]
    sub_post_number: int
    sub_post_list: Post.SubPost
    author_id: int
    author: User
    def __init__(self, id: _Optional[int] = ..., floor: _Optional[int] = ..., time: _Optional[int] = ..., content: _Optional[_Iterable[_Union[PbContent, _Mapping]]] = ..., sub_post_number: _Optional[int] = ..., sub_post_list: _Optional[_Union[Post.SubPost, _Mapping]] = ..., author_id: _Optional[int] = ..., author: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class SubPostList(_message.Message):
    __slots__ = ("id", "content", "time", "author_id", "author")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_ID_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    id: int
    content: _containers.RepeatedCompositeFieldContainer[PbContent]
    time: int
    author_id: int
    author: User
    def __init__(self, id: _Optional[int] = ..., content: _Optional[_Iterable[_Union[PbContent, _Mapping]]] = ..., time: _Optional[int] = ..., author_id: _Optional[int] = ..., author: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class PbContent(_message.Message):
    __slots__ = ("type", "text", "link", "src", "bsize", "cdn_src", "big_cdn_src", "c", "voice_md5", "during_time", "uid", "origin_src", "origin_size", "tiebaplus_info", "portrait")
    class TiebaPlusInfo(_message.Message):
        __slots__ = ("desc",)
        DESC_FIELD_NUMBER: _ClassVar[int]
        desc: str
        def __init__(self, desc: _Optional[str] = ...) -> None: ...
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    SRC_FIELD_NUMBER: _ClassVar[int]
    BSIZE_FIELD_NUMBER: _ClassVar[int]
    CDN_SRC_FIELD_NUMBER: _ClassVar[int]
    BIG_CDN_SRC_FIELD_NUMBER: _ClassVar[int]
    C_FIELD_NUMBER: _ClassVar[int]
    VOICE_MD5_FIELD_NUMBER: _ClassVar[int]
    DURING_TIME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_SRC_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    TIEBAPLUS_INFO_FIELD_NUMBER: _ClassVar[int]
    PORTRAIT_FIELD_NUMBER: _ClassVar[int]
    type: int
    text: str
    link: str
    src: str
    bsize: str
    cdn_src: str
    big_cdn_src: str
    c: str
    voice_md5: str
    during_time: int
    uid: int
    origin_src: str
    origin_size: int
    tiebaplus_info: PbContent.TiebaPlusInfo
    portrait: str
    def __init__(self, type: _Optional[int] = ..., text: _Optional[str] = ..., link: _Optional[str] = ..., src: _Optional[str] = ..., bsize: _Optional[str] = ..., cdn_src: _Optional[str] = ..., big_cdn_src: _Optional[str] = ..., c: _Optional[str] = ..., voice_md5: _Optional[str] = ..., during_time: _Optional[int] = ..., uid: _Optional[int] = ..., origin_src: _Optional[str] = ..., origin_size: _Optional[int] = ..., tiebaplus_info: _Optional[_Union[PbContent.TiebaPlusInfo, _Mapping]] = ..., portrait: _Optional[str] = ...) -> None: ...

class User(_message.Message):
    __slots__ = ("id", "name", "name_show", "portrait", "ip_address")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAME_SHOW_FIELD_NUMBER: _ClassVar[int]
    PORTRAIT_FIELD_NUMBER: _ClassVar[int]
    IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    name_show: str
    portrait: str
    ip_address: str
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., name_show: _Optional[str] = ..., portrait: _Optional[str] = ..., ip_address: _Optional[str] = ...) -> None: ...
