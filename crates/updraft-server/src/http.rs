//! HTTP/1.x as devices speak it: request heads, targets, ranges, answer heads. Bytes in, values out;
//! no I/O and no rule of what to answer.

pub(crate) mod answer;
pub(crate) mod fields;
pub(crate) mod head;
mod plain;
pub(crate) mod range;
pub(crate) mod target;

pub(crate) use answer::{Answer, Body, Status};
pub(crate) use fields::Fields;
pub(crate) use head::{BadHead, Method, ParsedHead, RequestHead, Version};
pub(crate) use target::{Target, percent_decode};
