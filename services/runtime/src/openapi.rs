//! What a service's HTTP takes and answers, said beside its routes, as parts of one OpenAPI 3.1 document.
//! Schemas come from the types that handlers read and write, and examples of errors from the problems
//! that they answer with.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{Router, routing::MethodRouter};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use crate::{Problem, problem::PROBLEM_JSON};

/// Routes with what each takes and answers: one is not added without the other.
#[derive(Debug)]
pub struct Api<S> {
    router: Router<S>,
    operations: Vec<Operation>,
}

impl<S: Clone + Send + Sync + 'static> Default for Api<S> {
    fn default() -> Self {
        Self { router: Router::new(), operations: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// Adds the operation's path with what handles it.
    #[must_use]
    pub fn route(mut self, operation: Operation, handlers: MethodRouter<S>) -> Self {
        self.router = self.router.route(operation.path, handlers);
        self.operations.push(operation);
        self
    }

    pub fn into_router(self) -> Router<S> {
        self.router
    }

    pub fn into_operations(self) -> Vec<Operation> {
        self.operations
    }
}

/// Makes a schema; named ones become definitions of the generator.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Writes schemas, those with a name once. What is read and what is written are told apart: a field
/// with a default may be left out of a request, one that is skipped when empty of an answer.
#[derive(Debug)]
pub struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        let written = settings.clone().for_serialize().into_generator();
        Self { read: settings.into_generator(), written }
    }
}

impl Schemas {
    /// The Response Object of problems that share a status, wherever they occur.
    pub fn response(&mut self, problems: Vec<Problem>) -> Value {
        Answer { problems, ..Answer::default() }.into_json(&mut self.written)
    }

    /// What the schemas that were made refer to.
    pub fn into_definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.written.take_definitions(true);
        definitions.extend(self.read.take_definitions(true));
        definitions
    }
}

/// One method of one path.
#[derive(Debug)]
pub struct Operation {
    method: &'static str,
    path: &'static str,
    /// `operationId`: a verb and a noun.
    id: &'static str,
    summary: &'static str,
    description: Option<&'static str>,
    parameters: Vec<Value>,
    body: Option<Value>,
    takes: Option<(SchemaOf, Value)>,
    answers: BTreeMap<u16, Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    description: String,
    content: Option<Content>,
    /// The problems that share a status.
    problems: Vec<Problem>,
    /// Members that they have on top of those of every problem.
    members: Option<SchemaOf>,
    links: Option<Value>,
}

#[derive(Debug)]
struct Content {
    media_type: &'static str,
    schema: SchemaOf,
    example: Value,
}

impl Operation {
    pub fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("get", path, id, summary)
    }

    pub fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("post", path, id, summary)
    }

    fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            description: None,
            parameters: Vec::new(),
            body: None,
            takes: None,
            answers: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn description(mut self, text: &'static str) -> Self {
        self.description = Some(text);
        self
    }

    /// A Parameter Object of the specification: what no type says.
    #[must_use]
    pub fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn takes<T: JsonSchema>(mut self, example: Value) -> Self {
        self.takes = Some((schema_of::<T>, example));
        self
    }

    /// A body of which only the media type and the form are known: a Request Body Object.
    #[must_use]
    pub fn takes_other(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// An answer with a JSON body.
    #[must_use]
    pub fn answers<T: JsonSchema>(self, status: u16, what: &str, example: Value) -> Self {
        self.answers_as::<T>(status, "application/json", what, example)
    }

    /// An answer of another media type.
    #[must_use]
    pub fn answers_as<T: JsonSchema>(
        mut self,
        status: u16,
        media_type: &'static str,
        what: &str,
        example: Value,
    ) -> Self {
        let content = Content { media_type, schema: schema_of::<T>, example };
        let answer = self.answers.entry(status).or_default();
        what.clone_into(&mut answer.description);
        answer.content = Some(content);
        self
    }

    /// An answer without a body.
    #[must_use]
    pub fn answers_nothing(mut self, status: u16, what: &str) -> Self {
        what.clone_into(&mut self.answers.entry(status).or_default().description);
        self
    }

    /// The Link Objects of an answer: where its values lead.
    #[must_use]
    pub fn links(mut self, status: u16, links: Value) -> Self {
        self.answers.entry(status).or_default().links = Some(links);
        self
    }

    /// Problems that it may answer with, as they are.
    #[must_use]
    pub fn problems(mut self, problems: impl IntoIterator<Item = Problem>) -> Self {
        for problem in problems {
            let answer = self.answers.entry(problem.status().as_u16()).or_default();
            // What is particular to the operation was said first.
            if !answer.problems.iter().any(|known| known.title() == problem.title()) {
                answer.problems.push(problem);
            }
        }
        self
    }

    /// Members that the problems of a status may have on top of those of every problem.
    #[must_use]
    pub fn members(mut self, status: u16, schema: SchemaOf) -> Self {
        self.answers.entry(status).or_default().members = Some(schema);
        self
    }

    pub fn path(&self) -> &'static str {
        self.path
    }

    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The Operation Object.
    pub fn into_json(self, tag: &str, schemas: &mut Schemas) -> Value {
        let mut operation = Map::new();
        operation.insert("operationId".into(), self.id.into());
        operation.insert("tags".into(), json!([tag]));
        operation.insert("summary".into(), self.summary.into());
        if let Some(text) = self.description {
            operation.insert("description".into(), text.into());
        }
        if !self.parameters.is_empty() {
            operation.insert("parameters".into(), self.parameters.into());
        }
        let takes = self.takes.map(|(schema, example)| {
            let content = json!({"schema": schema(&mut schemas.read), "example": example});
            json!({"required": true, "content": {"application/json": content}})
        });
        if let Some(body) = takes.or(self.body) {
            operation.insert("requestBody".into(), body);
        }
        let answers = self.answers.into_iter();
        let answers = answers
            .map(|(status, answer)| (status.to_string(), answer.into_json(&mut schemas.written)));
        operation.insert("responses".into(), Value::Object(answers.collect()));
        operation.into()
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Answer {
    fn into_json(self, generator: &mut SchemaGenerator) -> Value {
        let mut answer = Map::new();
        let titles: Vec<&str> = self.problems.iter().map(Problem::title).collect();
        let description =
            if self.description.is_empty() { titles.join("; ") } else { self.description.clone() };
        answer.insert("description".into(), description.into());
        let headers = headers(&self.problems);
        if !headers.is_empty() {
            answer.insert("headers".into(), headers.into());
        }
        let mut content = Map::new();
        if let Some(Content { media_type, schema, example }) = self.content {
            let body = json!({"schema": schema(generator), "example": example});
            content.insert(media_type.into(), body);
        }
        if !self.problems.is_empty() {
            let problem = generator.subschema_for::<ProblemDocument>();
            let schema = match self.members {
                Some(members) => json!({"allOf": [problem, members(generator)]}),
                None => problem.into(),
            };
            let body = json!({"schema": schema, "examples": examples(&self.problems)});
            content.insert(PROBLEM_JSON.into(), body);
        }
        if !content.is_empty() {
            answer.insert("content".into(), content.into());
        }
        answer.extend(self.links.map(|links| ("links".to_owned(), links)));
        answer.into()
    }
}

fn examples(problems: &[Problem]) -> Map<String, Value> {
    let example = |problem: &Problem| {
        let name = problem.title().to_ascii_lowercase().replace(' ', "-");
        (name, json!({"value": problem.to_json()}))
    };
    problems.iter().map(example).collect()
}

/// The headers that at least one of the problems comes with.
fn headers(problems: &[Problem]) -> Map<String, Value> {
    let mut headers = Map::new();
    for (name, _) in problems.iter().flat_map(Problem::headers) {
        let (name, schema) = match name.as_str() {
            "retry-after" => ("Retry-After", json!({"type": "integer", "minimum": 1})),
            "allow" => ("Allow", json!({"type": "string"})),
            _ => continue, // of the connection, not of the operation
        };
        headers.insert(name.into(), json!({"schema": schema}));
    }
    headers
}

/// The schema of what [`Problem::to_json`] writes. A problem may have more members, named where it
/// occurs.
struct ProblemDocument;

impl JsonSchema for ProblemDocument {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An error, as RFC 9457 has it",
            "required": ["title", "status"],
            "properties": {
                "type": {
                    "type": "string",
                    "format": "uri",
                    "description": "Names the kind; absent where the status says it all",
                },
                "title": {
                    "type": "string",
                    "description": "The same for every occurrence of the kind",
                },
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": {
                    "type": "string",
                    "description": "What is particular to this occurrence, for a person",
                },
                "traceId": {
                    "type": "string",
                    "pattern": "^[0-9a-f]{32}$",
                    "description": "Names the trace in the logs, for those who ask for help",
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn an_operation_is_written_with_its_schemas_and_problems() {
        let operation = Operation::get("/things/{id}", "getThing", "Show a thing")
            .parameter(json!({"name": "id", "in": "path", "required": true}))
            .answers::<u32>(200, "The thing", json!(7))
            .problems([
                Problem::new(StatusCode::NOT_FOUND, "No thing").detail("there is no thing 8"),
                Problem::of(StatusCode::SERVICE_UNAVAILABLE).retry_after_s(1),
            ]);
        let mut schemas = Schemas::default();
        insta::assert_json_snapshot!(operation.into_json("things", &mut schemas));
        assert!(schemas.into_definitions().contains_key("Problem"));
    }
}
