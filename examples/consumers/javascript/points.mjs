// Prints what each shopper has.
import pg from "pg";

const database = new pg.Client({ connectionString: process.env.DATABASE_URL });
await database.connect();
const { rows } = await database.query("SELECT user_id, points::INTEGER FROM points ORDER BY user_id");
for (const row of rows) console.log(JSON.stringify(row));
await database.end();
