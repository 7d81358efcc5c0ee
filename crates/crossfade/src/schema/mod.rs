//! Reads a database's schema object by object into a [`DatabaseSchema`].
//!
//! About thirty queries, each over all objects of a kind, in one read-only transaction with one snapshot. What the server can render it renders
//! itself (`pg_get_…def`), with fixed settings and an empty search path, so that the same schema gives the same text whoever asks. Any role may
//! ask.
//!
//! Left out: the system's schemas, the journal's, temporary objects, what an extension made, and what only a superuser makes in C. What
//! is there and is not compared is named in [`DatabaseSchema::uncompared`].

mod attached;
mod depends;
mod globals;
mod rights;
mod routines;
mod tables;
mod types;
mod views;

use std::collections::HashMap;
use std::collections::HashSet;

use crossfade_core::schema::Body;
use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::Kind;
use crossfade_core::schema::Object;
use crossfade_core::schema::ObjectId;
use crossfade_core::schema::Options;
use crossfade_core::sql::Ident;
use crossfade_core::sql::ServerText;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Oid;

use crate::error::Doing as _;
use crate::error::Error;
use crate::postgres::IntrospectError;
use crate::postgres::Target;
use crate::postgres::introspect;
use crate::postgres::lease::APPLICATION;

type Result<T, E = tokio_postgres::Error> = std::result::Result<T, E>;

/// Reads everything outside of the system's schemas and of `own_schema`, from one snapshot.
///
/// The client must not be inside of a transaction. If the future is dropped before it is done, the client is left inside of one.
///
/// # Errors
///
/// When the connection is lost or the server refuses, for example for `lock_timeout`. The transaction is rolled back.
pub async fn read(client: &Client, own_schema: &str) -> std::result::Result<DatabaseSchema, IntrospectError> {
    introspect::begin(client).await?;
    introspect::end(client, Reader::new(client).read(own_schema).await).await
}

/// The same over a connection of its own, which waits for a strong lock for some seconds and no longer.
pub(crate) async fn look(target: &Target, own_schema: &str) -> crate::error::Result<DatabaseSchema> {
    let client = target.connect(APPLICATION).await?;
    client.batch_execute("SET lock_timeout = '5s'").await.doing("prepare the session")?;
    read(&client, own_schema)
        .await
        .map_err(|error| Error::failed(format!("could not read the schema of {}", target.display())).caused_by(error))
}

/// A row of a catalog: the catalog's name, the object, and the column for the columns of relations.
type Address = (String, Oid, i32);

const SESSION: &str = "SELECT current_setting('server_version_num')::int4, current_user::text";

/// Extension members, and the extension of each.
const MEMBERS: &str = "
    SELECT d.classid::regclass::text AS class, d.objid AS oid, d.refobjid AS extension
      FROM pg_depend d WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass";

struct Reader<'c> {
    client: &'c Client,
    schema: DatabaseSchema,
    /// What each row of the catalogs is here.
    ids: HashMap<Address, ObjectId>,
    /// What has a comment of its own, where another object stands for the row: attributes of composites, indexes of constraints.
    described: HashMap<Address, ObjectId>,
    /// Schemas that are looked at.
    schemas: HashSet<Oid>,
    members: HashMap<(String, Oid), Oid>,
}

impl<'c> Reader<'c> {
    fn new(client: &'c Client) -> Reader<'c> {
        Reader {
            client,
            schema: DatabaseSchema::default(),
            ids: HashMap::new(),
            described: HashMap::new(),
            schemas: HashSet::new(),
            members: HashMap::new(),
        }
    }

    async fn read(mut self, own_schema: &str) -> std::result::Result<DatabaseSchema, IntrospectError> {
        let at = |part| move |source| IntrospectError { part, source };
        introspect::render_plainly(self.client).await?;
        self.session().await.map_err(at("the session's settings"))?;
        self.globals(own_schema).await.map_err(at("schemas and extensions"))?;
        self.types().await.map_err(at("types"))?;
        self.tables().await.map_err(at("tables"))?;
        self.columns().await.map_err(at("columns"))?;
        self.sequences().await.map_err(at("sequences"))?;
        self.parents().await.map_err(at("partitions"))?;
        self.views().await.map_err(at("views"))?;
        self.routines().await.map_err(at("functions"))?;
        self.constraints().await.map_err(at("constraints"))?;
        self.indexes().await.map_err(at("indexes"))?;
        self.on_tables().await.map_err(at("triggers and policies"))?;
        self.publications().await.map_err(at("publications"))?;
        self.rights().await.map_err(at("owners and grants"))?;
        self.depends().await.map_err(at("dependencies"))?;
        self.uncompared().await.map_err(at("other objects"))?;
        Ok(self.schema)
    }

    async fn session(&mut self) -> Result<()> {
        for row in self.rows(SESSION).await? {
            self.schema.server_version = u32::try_from(row.try_get::<_, i32>(0)?).unwrap_or_default();
            self.schema.current_user = row.try_get(1)?;
        }
        for row in self.rows(MEMBERS).await? {
            self.members.insert((row.try_get("class")?, row.try_get("oid")?), row.try_get("extension")?);
        }
        Ok(())
    }

    fn version(&self) -> u32 {
        self.schema.server_version
    }

    /// Runs a query without leaving a prepared statement behind, which a pooler could hand to another client.
    async fn rows(&self, query: &str) -> Result<Vec<Row>> {
        self.client.query_typed(query, &[]).await
    }

    /// The rows of a query over one catalog that are in a schema that is looked at and in no extension. They have `oid` and `namespace`.
    async fn own_rows(&self, class: &'static str, query: &str) -> Result<Vec<Row>> {
        let mut own = Vec::new();
        for row in self.rows(query).await? {
            let (oid, namespace): (Oid, Oid) = (row.try_get("oid")?, row.try_get("namespace")?);
            if self.schemas.contains(&namespace) && !self.members.contains_key(&(class.to_owned(), oid)) {
                own.push(row);
            }
        }
        Ok(own)
    }

    /// Takes an object in.
    fn put(&mut self, class: &str, oid: Oid, id: ObjectId, body: Body) {
        self.ids.insert((class.to_owned(), oid, 0), id.clone());
        self.put_alone(id, body);
    }

    /// Takes in what is no row of its own.
    fn put_alone(&mut self, id: ObjectId, body: Body) {
        self.schema.objects.insert(id, Object::new(body));
    }

    /// Says that another row of a catalog stands for an object, too.
    fn alias(&mut self, class: &str, oid: Oid, id: &ObjectId) {
        if oid != 0 {
            self.ids.insert((class.to_owned(), oid, 0), id.clone());
        }
    }

    fn id(&self, class: &str, oid: Oid) -> Option<&ObjectId> {
        self.ids.get(&(class.to_owned(), oid, 0))
    }

    fn column_id(&self, table: Oid, number: i16) -> Option<&ObjectId> {
        self.ids.get(&("pg_class".to_owned(), table, i32::from(number)))
    }

    fn requires(&mut self, id: &ObjectId, other: &ObjectId) {
        if id != other
            && let Some(object) = self.schema.objects.get_mut(id)
        {
            object.requires.insert(other.clone());
        }
    }
}

fn named(row: &Row, kind: Kind) -> Result<ObjectId> {
    Ok(ObjectId::within(kind, row.try_get::<_, String>("schema")?, row.try_get::<_, String>("name")?))
}

/// Something that hangs on the relation `schema`.`holder`.
fn attached(row: &Row, kind: Kind) -> Result<ObjectId> {
    let holder = TableName::new(row.try_get::<_, String>("schema")?, row.try_get::<_, String>("holder")?);
    Ok(ObjectId::on(kind, &holder, row.try_get::<_, String>("name")?))
}

fn text(row: &Row, column: &str) -> Result<ServerText> {
    Ok(ServerText::from_server(row.try_get::<_, String>(column)?))
}

fn some_text(row: &Row, column: &str) -> Result<Option<ServerText>> {
    Ok(row.try_get::<_, Option<String>>(column)?.map(ServerText::from_server))
}

fn ident(row: &Row, column: &str) -> Result<Ident> {
    Ok(Ident::new(row.try_get::<_, String>(column)?))
}

/// A mark that the server keeps among the options of columns, for itself (seen in 15.20).
const OWN_MARK: &str = "pg_attver";

/// `name=value`, as the catalogs keep options.
fn options(row: &Row, column: &str) -> Result<Options> {
    let all: Option<Vec<String>> = row.try_get(column)?;
    let pair = |option: String| {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        (name.to_owned(), value.to_owned())
    };
    Ok(all.unwrap_or_default().into_iter().map(pair).filter(|(name, _)| name != OWN_MARK).collect())
}
