"""The same with ``async def`` views: what has to be read is awaited."""

from asyncflask import Flask, request

app = Flask(__name__)


@app.route("/")
async def home():
    return "Welcome!"


@app.route("/about")
async def about():
    return "About us"


@app.route("/contact")
async def contact():
    return "Contact us"


@app.route("/user/<username>")
async def profile(username):
    return f"Profile of {username}"


@app.route("/post/<int:post_id>")
async def post(post_id):
    return f"Post number {post_id}"


@app.route("/submit", methods=["GET", "POST"])
async def submit():
    if request.method == "POST":
        return f"Thank you, {(await request.form)['name']}!"
    return '<form method="post"><input name="name"><button>Send</button></form>'


@app.get("/items")
async def list_items():
    return ["pen", "paper"]


@app.post("/items")
async def add_item():
    return {"added": (await request.get_json())["name"]}, 201


@app.put("/items/<int:item_id>")
async def replace_item(item_id):
    return {"id": item_id, "name": (await request.get_json())["name"]}


@app.patch("/items/<int:item_id>")
async def change_item(item_id):
    return {"id": item_id, "changed": sorted(await request.get_json())}


@app.delete("/items/<int:item_id>")
async def delete_item(item_id):
    return "", 204


if __name__ == "__main__":
    app.run(debug=True)
