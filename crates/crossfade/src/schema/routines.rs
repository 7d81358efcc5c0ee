//! Functions, procedures and aggregates.

use crossfade_core::schema::Body;
use crossfade_core::schema::Kind;
use crossfade_core::schema::ObjectId;
use crossfade_core::schema::Routine;

use super::Reader;
use super::Result;
use super::named;
use super::text;

/// The constructors of a range come with it.
const ROUTINES: &str = "
    SELECT p.oid, p.pronamespace AS namespace, n.nspname::text AS schema, p.proname::text AS name, p.prokind::text AS form,
           oidvectortypes(p.proargtypes) AS arguments, pg_get_functiondef(p.oid) AS definition,
           concat_ws(' RETURNS ', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)) AS signature
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE p.prokind <> 'a' AND p.oid >= 16384
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')";

const AGGREGATES: &str = "
    SELECT p.oid, p.pronamespace AS namespace, n.nspname::text AS schema, p.proname::text AS name,
           oidvectortypes(p.proargtypes) AS arguments,
           format('CREATE AGGREGATE %I.%I(%s) (%s)', n.nspname, p.proname, COALESCE(NULLIF(pg_get_function_arguments(p.oid), ''), '*'),
                  concat_ws(', ',
                      'SFUNC = ' || a.aggtransfn::regproc::text,
                      'STYPE = ' || format_type(a.aggtranstype, NULL),
                      'SSPACE = ' || NULLIF(a.aggtransspace, 0),
                      'FINALFUNC = ' || NULLIF(a.aggfinalfn, 0)::regproc::text,
                      CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
                      'FINALFUNC_MODIFY = ' || CASE a.aggfinalmodify WHEN 's' THEN 'SHAREABLE' WHEN 'w' THEN 'READ_WRITE' END,
                      'COMBINEFUNC = ' || NULLIF(a.aggcombinefn, 0)::regproc::text,
                      'SERIALFUNC = ' || NULLIF(a.aggserialfn, 0)::regproc::text,
                      'DESERIALFUNC = ' || NULLIF(a.aggdeserialfn, 0)::regproc::text,
                      'INITCOND = ' || quote_literal(a.agginitval),
                      'MSFUNC = ' || NULLIF(a.aggmtransfn, 0)::regproc::text,
                      'MINVFUNC = ' || NULLIF(a.aggminvtransfn, 0)::regproc::text,
                      'MSTYPE = ' || CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END,
                      'MSSPACE = ' || NULLIF(a.aggmtransspace, 0),
                      'MFINALFUNC = ' || NULLIF(a.aggmfinalfn, 0)::regproc::text,
                      CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
                      'MFINALFUNC_MODIFY = ' || CASE WHEN a.aggmtransfn <> 0 THEN
                          CASE a.aggmfinalmodify WHEN 's' THEN 'SHAREABLE' WHEN 'w' THEN 'READ_WRITE' END END,
                      'MINITCOND = ' || quote_literal(a.aggminitval),
                      'SORTOP = ' || (SELECT format('OPERATOR(%I.%s)', m.nspname, o.oprname)
                                        FROM pg_operator o JOIN pg_namespace m ON m.oid = o.oprnamespace WHERE o.oid = a.aggsortop),
                      CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END,
                      'PARALLEL = ' || CASE p.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED' END)) AS definition
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_aggregate a ON a.aggfnoid = p.oid
     WHERE p.oid >= 16384";

impl Reader<'_> {
    pub(super) async fn routines(&mut self) -> Result<()> {
        for row in self.own_rows("pg_proc", ROUTINES).await? {
            let kind = if row.try_get::<_, &str>("form")? == "p" { Kind::Procedure } else { Kind::Function };
            let id = ObjectId { arguments: Some(text(&row, "arguments")?), ..named(&row, kind)? };
            let body = Routine { definition: text(&row, "definition")?, signature: text(&row, "signature")? };
            self.put("pg_proc", row.try_get("oid")?, id, Body::Routine(body));
        }
        for row in self.own_rows("pg_proc", AGGREGATES).await? {
            let id = ObjectId { arguments: Some(text(&row, "arguments")?), ..named(&row, Kind::Aggregate)? };
            self.put("pg_proc", row.try_get("oid")?, id, Body::Defined(text(&row, "definition")?));
        }
        Ok(())
    }
}
