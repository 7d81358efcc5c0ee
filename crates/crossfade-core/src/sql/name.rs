//! Names that a person gives on the command line, written as in SQL: folded unless they are quoted.

use pg_query::NodeEnum;

use super::Expr;
use super::Ident;
use super::ObjectRef;
use super::Span;
use super::SyntaxError;

impl ObjectRef {
    /// Reads the name of a relation: `users`, `app.users`, `"Odd ""Schema"""."Users"`.
    ///
    /// # Errors
    ///
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<ObjectRef, SyntaxError> {
        let not_one = || SyntaxError {
            message: format!("{text} is not the name of a table"),
            span: Span::new(0, text.len()),
            help: Some("write it as in SQL: users, app.users, or \"Users\" in double quotes".to_owned()),
        };
        let tokens = super::parse::scan(text).map_err(|_| not_one())?;
        let parsed = pg_query::parse(&format!("TABLE {text}"), 0).map_err(|_| not_one())?;
        let [statement] = parsed.protobuf.stmts.as_slice() else { return Err(not_one()) };
        let Some(NodeEnum::SelectStmt(select)) = statement.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else {
            return Err(not_one());
        };
        let [from] = select.from_clause.as_slice() else { return Err(not_one()) };
        match &from.node {
            Some(NodeEnum::RangeVar(name)) if name.inh && name.catalogname.is_empty() && tokens.len() <= 3 => {
                let schema = (!name.schemaname.is_empty()).then(|| name.schemaname.clone());
                Ok(ObjectRef { schema, name: name.relname.clone() })
            }
            _ => Err(not_one()),
        }
    }
}

impl Ident {
    /// Reads the name of a column: `email`, `"Email"`.
    ///
    /// # Errors
    ///
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Ident, SyntaxError> {
        let column = Expr::parse(text).ok().and_then(|expr| {
            let plain = expr.columns().all(|column_use| column_use.qualifier.is_none());
            expr.as_column().filter(|_| plain).map(Ident::new)
        });
        column.ok_or_else(|| SyntaxError {
            message: format!("{text} is not the name of a column"),
            span: Span::new(0, text.len()),
            help: Some("write it as in SQL: email, or \"Email\" and \"order\" in double quotes".to_owned()),
        })
    }

    /// As a person writes it: in quotes only where it needs them.
    pub fn shortest(&self) -> String {
        let bare = self.as_str();
        match Ident::parse(bare) {
            Ok(same) if same == *self => bare.to_owned(),
            Ok(_) | Err(_) => crate::sql!("{}", self).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Option<String> {
        ObjectRef::parse(text).ok().map(|name| format!("{:?} {}", name.schema, name.name))
    }

    #[test]
    fn names_are_read_as_sql_reads_them() {
        assert_eq!(table("Users").as_deref(), Some("None users"));
        assert_eq!(table(" app.\"Users\" ").as_deref(), Some("Some(\"app\") Users"));
        assert_eq!(table("\"a.b\".\"c\"\"d\"").as_deref(), Some("Some(\"a.b\") c\"d"));
        for text in ["", "a b", "ONLY a", "ONLY a *", "a, b", "a.b.c", "a; DROP TABLE b", "(a)", "order", "a JOIN b"] {
            assert_eq!(table(text), None, "{text}");
        }
        let column = |text: &str| Ident::parse(text).ok();
        assert_eq!(column("Email"), Some(Ident::new("email")));
        assert_eq!(column("\"Größe 1\""), Some(Ident::new("Größe 1")));
        for text in ["", "t.email", "email + 1", "order", "a, b", "user", "1", "$1"] {
            assert_eq!(column(text), None, "{text}");
        }
    }

    #[test]
    fn the_shortest_form_is_read_back_as_the_same() {
        for name in ["email", "Email", "order", "a b", "a\"b", "größe", "user", "x1"] {
            let short = Ident::new(name).shortest();
            assert_eq!(Ident::parse(&short), Ok(Ident::new(name)), "{short}");
        }
        assert_eq!(Ident::new("email").shortest(), "email");
    }
}
