//! A mail as the mailbox gives it -> the bytes of our attachment in it (pure).

use mail_parser::{MessageParser, MimeHeaders as _, PartType};

/// The first attachment of that name, its transfer encoding undone. Charsets are not applied: it is not a text.
pub fn find(mail: &[u8], name: &str) -> Option<Vec<u8>> {
    let message = MessageParser::default().parse(mail)?;
    let part = message.parts.iter().find(|part| part.attachment_name() == Some(name))?;
    match &part.body {
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => Some(bytes.to_vec()),
        // Declared as text: whatever the declared charset made of the bytes, the signature decides.
        PartType::Text(text) | PartType::Html(text) => Some(text.as_bytes().to_vec()),
        PartType::Message(_) | PartType::Multipart(_) => None,
    }
}
