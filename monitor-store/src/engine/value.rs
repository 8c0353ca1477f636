//! Values on their way into statements and out of rows: numbers, texts and bytes. Both engines know them.

use std::borrow::Cow;

/// A value of one column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(Cow<'a, [u8]>),
}

/// The value is not of the wanted kind, or out of its range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrong;

/// What can be a parameter.
pub(crate) trait ToSql {
    fn to_sql(&self) -> Value<'_>;
}

/// What a column can be read as.
pub(crate) trait FromSql: Sized {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong>;
}

/// A statement's parameters in order.
pub(crate) trait Params {
    fn values(&self) -> Vec<Value<'_>>;
}

impl<T: ToSql + ?Sized> ToSql for &T {
    fn to_sql(&self) -> Value<'_> {
        (**self).to_sql()
    }
}

impl<T: ToSql> ToSql for Option<T> {
    fn to_sql(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToSql::to_sql)
    }
}

impl<T: FromSql> FromSql for Option<T> {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        match value {
            Value::Null => Ok(None),
            value => T::column_result(value).map(Some),
        }
    }
}

impl ToSql for i64 {
    fn to_sql(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl FromSql for i64 {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        if let Value::Integer(number) = value { Ok(*number) } else { Err(Wrong) }
    }
}

macro_rules! narrow {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> Value<'_> {
                Value::Integer(i64::from(*self))
            }
        }

        impl FromSql for $name {
            fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
                i64::column_result(value)?.try_into().map_err(|_| Wrong)
            }
        }
    )*};
}
narrow!(u8, u16, u32);

impl ToSql for bool {
    fn to_sql(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl FromSql for bool {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        Ok(i64::column_result(value)? != 0)
    }
}

impl ToSql for str {
    fn to_sql(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToSql for String {
    fn to_sql(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl FromSql for String {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        if let Value::Text(text) = value { Ok((*text).to_owned()) } else { Err(Wrong) }
    }
}

impl ToSql for [u8] {
    fn to_sql(&self) -> Value<'_> {
        Value::Blob(Cow::Borrowed(self))
    }
}

impl ToSql for Vec<u8> {
    fn to_sql(&self) -> Value<'_> {
        Value::Blob(Cow::Borrowed(self))
    }
}

impl FromSql for Vec<u8> {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        if let Value::Blob(bytes) = value { Ok(bytes.to_vec()) } else { Err(Wrong) }
    }
}

impl FromSql for [u8; 16] {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        if let Value::Blob(bytes) = value { bytes.as_ref().try_into().map_err(|_| Wrong) } else { Err(Wrong) }
    }
}

impl Params for () {
    fn values(&self) -> Vec<Value<'_>> {
        Vec::new()
    }
}

impl<T: ToSql, const N: usize> Params for [T; N] {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(ToSql::to_sql).collect()
    }
}

macro_rules! tuple {
    ($($name:ident)*) => {
        impl<$($name: ToSql),*> Params for ($($name,)*) {
            #[expect(non_snake_case, reason = "one name for type and value")]
            fn values(&self) -> Vec<Value<'_>> {
                let ($($name,)*) = self;
                vec![$($name.to_sql()),*]
            }
        }
    };
}
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
tuple!(A B C D E F G H I J K L M N O P Q);
